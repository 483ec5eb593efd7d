"""What a browser with an empty cache loads for each page, and how soon it shows the page on a slow network."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devtools.browsing import chromium
from devtools.running import RunningSite
from stress.bench.workspace import Workspace
from stress.tables import BenchReport, Goal, ResultTable, figures, plural

TITLE = "Pages"
CASES = 60  # on the reviewing desk
MOST_KILOBYTES = 60
MOST_REQUESTS = 6

# A phone with a weak signal: 1.6 Mbit/s down, 0.75 Mbit/s up, 150 ms.
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def add_options(group: _ActionsContainer) -> None:
    """This benchmark has only the general options."""


@dataclass(frozen=True)
class Load:
    """One load of a page. Pictures are counted apart."""

    requests: int
    kilobytes: float
    picture_kilobytes: float
    first_paint_ms: float


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    data_dir = workspace.site_folder("pages")
    workspace.manage("seed_review", f"--cases={CASES}", data_dir=data_dir)
    with RunningSite(data_dir) as site, chromium() as browser:
        result = site.predict(workspace.photos[0].read_bytes()).json()["links"]["page"].removeprefix(site.url)
        visitors = {"upload": "/", "result": result, "error 404": "/nothing-here", "feedback": "/feedback"}
        desk = "/admin/review/case"
        others = {"API": "/api/docs", "start page": "/admin/", "list of cases": f"{desk}/", "grid": f"{desk}/grid/"}
        login = _login(browser, site)
        paths = visitors | others
        loads = workspace.rounds(options.rounds, paths, lambda name: _load(browser, site.url + paths[name], login))
    heaviest = max(load.kilobytes for name in visitors for load in loads[name])
    most = max(load.requests for name in visitors for load in loads[name])
    return BenchReport(
        "pages",
        TITLE,
        f"Each page in Chromium with an empty cache, at 1.6 Mbit/s and 150 ms; {plural(options.rounds, 'round')}, "
        "median (lowest-highest). Requests and kB are without pictures, and kB as sent, compressed. The first four "
        f"pages are the visitors'; the last three are the reviewers', with {CASES} cases.",
        [_table(loads)],
        goals=[
            Goal(f"at most {MOST_KILOBYTES} kB for a visitors' page", f"{heaviest:.1f} kB", heaviest <= MOST_KILOBYTES),
            Goal(f"at most {MOST_REQUESTS} requests for it", f"{most}", most <= MOST_REQUESTS),
        ],
    )


def _table(loads: dict[str, list[Load]]) -> ResultTable:
    columns = ("page", "requests", "kB", "kB of pictures", "first paint, ms")
    names = ("kilobytes", "picture_kilobytes", "first_paint_ms")
    return ResultTable(
        columns,
        [(page, max(load.requests for load in found), *figures(found, *names)) for page, found in loads.items()],
    )


def _login(browser: Any, site: RunningSite) -> Any:
    """Returns the cookies of a lead."""
    name, password = site.login
    with _tab(browser) as tab:
        tab.goto(f"{site.url}/admin/")
        tab.get_by_label("Username:").fill(name)
        tab.get_by_label("Password:").fill(password)
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_role("button", name="Log out").wait_for()
        return tab.context.storage_state()


def _load(browser: Any, address: str, login: Any) -> Load:
    requests: list[Any] = []
    with _tab(browser, storage_state=login if "/admin/" in address else None) as tab:
        network = tab.context.new_cdp_session(tab)
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", SLOW)
        tab.on("requestfinished", lambda request: requests.append(request))
        tab.goto(address)
        first_paint = float(tab.wait_for_function(FIRST_PAINT).json_value())
        pictures = [request for request in requests if _is_picture(request)]
        total, of_pictures = _kilobytes(requests), _kilobytes(pictures)
    return Load(len(requests) - len(pictures), total - of_pictures, of_pictures, first_paint)


def _is_picture(request: Any) -> bool:
    """Whether the response is a picture. The browser loads the icon of the tab too, as a request of no type."""
    return str(request.response().headers.get("content-type", "")).startswith("image/")


def _kilobytes(requests: list[Any]) -> float:
    size: float = sum(request.sizes()["responseBodySize"] for request in requests)
    return size / 1000


@contextmanager
def _tab(browser: Any, **options: Any) -> Iterator[Any]:
    context = browser.new_context(**options)
    yield context.new_page()
    context.close()
