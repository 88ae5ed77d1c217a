"""What is found in the end, whatever the stack went through."""

from adapters.jetstream import Broker
from adapters.jetstream_letters import JetStreamLetters
from chaos.checks_logs import check_logs
from chaos.checks_told import check_told
from chaos.history import Finding, History, read_history
from chaos.journal import Journal
from chaos.settle import settled
from contracts.kernel import DeadLetter
from contracts.letters import LetterFilter
from deploy.settings import Settings

LETTERS_MAX = 10_000


async def verdict(
    broker: Broker, settings: Settings, journal: Journal, *, settle_s_max: float
) -> tuple[list[Finding], History, list[DeadLetter]]:
    """Wait until all is finished; then compare what clients were told with the logs. With what was read: the logs and the dead
    letters.
    """
    left = await settled(broker, settings, timeout_s=settle_s_max)
    findings = [Finding("all was finished", left)] if left else []
    history = await read_history(broker)
    letters = [one.letter for one in await JetStreamLetters(broker).find(LetterFilter(), limit=LETTERS_MAX)]
    findings += check_logs(history)
    findings += check_told(history, journal.by_id(), letters)
    return findings, history, letters
