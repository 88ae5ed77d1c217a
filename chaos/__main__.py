"""`python -m chaos`: `just chaos`."""

import asyncio
from pathlib import Path

import click

from chaos import report
from chaos.run import Chaos, Outcome, run
from chaos.strikes import Struck
from deploy.embedded.child import StartError
from deploy.embedded.supervisor import State
from deploy.progress import Steps
from deploy.stack import until_interrupted


@click.command()
@click.option("--kills", type=click.IntRange(min=0), default=200, show_default=True)
@click.option("--pauses", type=click.IntRange(min=0), default=50, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the schedule and of the clients.")
@click.option("--workers", type=click.IntRange(1, 4), default=2, show_default=True, help="Of each domain.")
@click.option(
    "--gap", type=click.FloatRange(min=0.5), default=5.0, show_default=True, help="Longest between strikes, s."
)
@click.option("--data", type=click.Path(path_type=Path), help="A new folder for the stack.  [default: in chaos-data]")
@click.option("--models", type=click.Path(path_type=Path), help="Folder of built models.  [default: chaos-data/models]")
@click.option("--report", "path", type=click.Path(path_type=Path), help="[default: report.md in the data folder]")
@click.option("--write", is_flag=True, help="Also put the summary into bench/RESULTS.md.")
def main(
    *,
    kills: int,
    pauses: int,
    seed: int,
    workers: int,
    gap: float,
    data: Path | None,
    models: Path | None,
    path: Path | None,
    write: bool,
) -> None:
    """Kill and pause the processes of a real stack under load, then check that nothing was lost or done twice.

    The report is Markdown, with the whole run as JSON beside it. The exit status is 1 when a check failed.
    """
    chaos = Chaos(
        data=(data or report.RUNS / report.stamp(f"seed-{seed}")).resolve(),
        models=(models or report.RUNS / "models").resolve(),
        seed=seed,
        kills=kills,
        pauses=pauses,
        workers=workers,
        gap_s_max=gap,
    )
    if chaos.data.exists():
        raise click.UsageError(f"{chaos.data} is there already; choose a new folder with --data")
    click.echo(f"seed {chaos.seed}; the schedule:")
    for strike in chaos.strikes:
        click.echo(f"  {strike}")
    try:
        outcome = _watched(chaos)
    except (StartError, TimeoutError) as error:
        raise click.ClickException(
            f"{error or 'a struck process did not come back'}; see {chaos.data / 'logs'}"
        ) from error
    if outcome is None:
        raise click.exceptions.Exit(130)
    target = path or chaos.data / "report.md"
    report.keep(outcome, target)
    if write:
        report.publish(outcome)
    click.echo(report.summary(outcome))
    click.echo(f"\nreport: {target}")
    if outcome.findings:
        raise click.exceptions.Exit(1)


def _watched(chaos: Chaos) -> Outcome | None:
    """The run with its progress; None when it was interrupted, with everything stopped."""
    outcomes: list[Outcome] = []
    with Steps() as steps:
        counts = {"kill": 0, "pause": 0}
        tasks = {
            "kill": steps.begin("Kills", chaos.kills),
            "pause": steps.begin("Pauses", chaos.pauses),
        }

        def on_struck(struck: Struck) -> None:
            kind = struck.strike.kind
            counts[kind] += 1
            steps.advance(tasks[kind], counts[kind], note=struck.strike.victim)

        def on_state(name: str, state: State, detail: str) -> None:
            if state == "down" and "status -9" not in detail:
                steps.say(f"{name} is down: {detail.splitlines()[0]}")  # Its log has the rest.

        async def work() -> None:
            outcomes.append(await run(chaos, on_state=on_state, on_struck=on_struck))

        asyncio.run(until_interrupted(work))
    return outcomes[0] if outcomes else None


if __name__ == "__main__":
    main()
