"""Alarms become strategic alerts."""

from collections.abc import Sequence

from contracts.alerts import Alarm
from contracts.domains import Domain
from contracts.facts import SIGNAL, StrategicAlert
from contracts.ids import keyed_id
from contracts.subjects import ActorRef
from runtime.effects import Effects


async def raise_alarms(alarms: Sequence[Alarm], tool: str, effects: Effects) -> None:
    """Tell the CEO's domain, as confidential as all that the run has read so far: at each level it is an alert of its own."""
    for alarm in alarms:
        fact = StrategicAlert(
            title=alarm.title,
            text=alarm.text,
            origin=f"{tool.replace('_', ' ')} team",
            alert_priority=alarm.alert_priority,
            category=alarm.category,
        )
        await effects.tell(
            fact, to=ActorRef(Domain.CEO, SIGNAL, keyed_id("alarm", tool, alarm.subject, effects.label.value))
        )
