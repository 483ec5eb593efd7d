/* The live camera: a dialog that shows what the camera sees. */

const WANTED = { audio: false, video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } } };

// By the name of the browser's error.
const PROBLEMS = {
  NotAllowedError: "The browser doesn't allow this page to use the camera. Allow it beside the address, and try again.",
  NotFoundError: "No camera was found. Connect one, and try again.",
  NotReadableError: "The camera can't be used. Close other programs that use it, and try again.",
};

/** Returns the picture that the visitor takes, as a `File`; `null` if they take none. */
export async function takePicture(dialog) {
  if (dialog.open) return null;
  const leaving = new AbortController();
  const { signal } = leaving;
  const leave = () => {
    leaving.abort(); // turns the camera off at once: the event "close" comes later
    dialog.close();
  };
  let picture = null;
  const take = async () => {
    picture = await frame(dialog.querySelector("video"));
    leave();
  };

  dialog.querySelector("#camera-shutter").addEventListener("click", take, { signal });
  dialog.querySelector("#camera-close").addEventListener("click", leave, { signal });
  document.addEventListener("visibilitychange", leave, { signal });
  addEventListener("pagehide", leave, { signal });
  const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  dialog.showModal();
  show(dialog, signal);
  await closed; // also by the Escape key
  leaving.abort();
  return picture;
}

/** Shows the camera's picture in the dialog until `signal` is aborted, or says why that is not possible. */
async function show(dialog, signal) {
  const video = dialog.querySelector("video");
  const status = dialog.querySelector("#camera-status");
  const shutter = dialog.querySelector("#camera-shutter");
  status.textContent = "Starting the camera…";
  shutter.disabled = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia(WANTED);
    const stop = () => stream.getTracks().forEach((track) => track.stop());
    if (signal.aborted) return stop();
    signal.addEventListener("abort", () => {
      stop();
      video.srcObject = null;
    });
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      shutter.disabled = true;
      status.textContent = "The camera was disconnected.";
    });
    video.srcObject = stream;
    await video.play();
    status.textContent = "";
    shutter.disabled = false;
    shutter.focus();
  } catch (error) {
    if (!signal.aborted) status.textContent = PROBLEMS[error.name] ?? "The camera can't be started.";
  }
}

/** Returns the frame that the video shows, as a JPEG file. */
async function frame(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const content = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return content && new File([content], "camera.jpg", { type: "image/jpeg" });
}
