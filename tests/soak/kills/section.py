"""Section: the bot is killed at every passing of every fault point, and lives again."""

from __future__ import annotations

import asyncio
import shutil
import time

from tests.soak.kills import points
from tests.soak.kills.nursery import Nursery
from tests.soak.kills.sweep import AT_ONCE, Kill, Result, all_kills, carry_out, survey
from tests.soak.runner import Stage, Told, section

AT_LEAST = 200


@section("kills")
def kills(stage: Stage) -> Told:
    began = time.monotonic()
    results = asyncio.run(_sweep(stage))
    return _told(results, time.monotonic() - began)


async def _sweep(stage: Stage) -> list[Result]:
    results: list[Result] = []
    gate = asyncio.Semaphore(AT_ONCE)
    with Nursery() as nursery:
        stage.tell(0, 1, "playing every scene once")
        wanted = all_kills(points.names(), await survey(stage.folder, nursery))

        async def one(number: int, kill: Kill) -> None:
            async with gate:
                folder = stage.folder / f"kill-{number}"
                results.append(await carry_out(kill, folder, nursery))
                await asyncio.to_thread(shutil.rmtree, folder)
                stage.tell(len(results), len(wanted), str(kill))

        await asyncio.gather(*(one(number, kill) for number, kill in enumerate(wanted)))
    return results


def _told(results: list[Result], seconds: float) -> Told:
    """A kill that did not come about, because news folded otherwise this time, is none."""
    failed = [each for each in results if each.wrong]
    done = [each for each in results if each.died and not each.wrong]
    swept = {fault.partition(":")[0] for each in done for fault in (*each.kill.faults, each.kill.beside) if fault}
    unswept = sorted(set(points.names()) - swept)
    ok = not failed and not unswept and len(done) >= AT_LEAST
    figures = {
        "ok": ok, "killed": len(done) + len(failed), "survived": len(done), "at_least": AT_LEAST,
        "points": len(points.names()), "points_not_swept": unswept,
        "not_reached": len(results) - len(done) - len(failed), "seconds": round(seconds, 1),
        "failed": {str(each.kill): each.wrong for each in failed},
    }  # fmt: skip
    rows = {"kills survived": f"{len(done)} of {len(done) + len(failed)}", "fault points": str(len(swept))}
    return Told(ok, figures, rows | {str(each.kill): " | ".join(each.wrong) for each in failed})
