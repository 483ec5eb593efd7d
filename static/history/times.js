/* Shows the times of a page in the visitor's language and time zone. Without this module they are shown in UTC. */

const now = new Date();
const style = { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };

for (const time of document.querySelectorAll("time[datetime]")) {
  const date = new Date(time.dateTime);
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  time.title = time.textContent;
  time.textContent = date.toLocaleString(undefined, { ...style, year });
}
