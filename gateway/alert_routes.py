"""The rows of the API's table about strategic alerts; they are raised as facts, at /v1/events/ceo/signal/{id}."""

from contracts import alerts
from contracts.alerts import AlertAcknowledged, AlertResolved
from gateway import alerting
from gateway.commands import CURATE
from gateway.rows import Answers, Does, Route

ALERTS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/alerts",
        summary="Strategic alerts under your clearance, the newest first",
        action=Answers(alerting.alerts),
        limit="cross_domain",
        query=alerts.AlertsQuery,
        reply=alerts.Alerts,
    ),
    Route(
        method="GET",
        path="/v1/alerts/{alert}",
        summary="One alert, and who acknowledged or resolved it",
        action=Answers(alerting.alert),
        limit="cross_domain",
        reply=alerts.Alert,
    ),
    Route(
        method="POST",
        path="/v1/alerts/{alert}/acknowledge",
        summary="Say that you look at it: it rises no more",
        action=Does(alerting.acknowledge, (AlertAcknowledged,), alerting.alert_reply),
        limit="cross_domain",
        request=alerts.AlertNote,
        optional=True,
        reply=alerts.Alert,
        permissions=CURATE,
        example=alerts.AlertNote(note="I call them today."),
    ),
    Route(
        method="POST",
        path="/v1/alerts/{alert}/resolve",
        summary="Say that it is dealt with; raised again it is open again",
        action=Does(alerting.resolve, (AlertResolved,), alerting.alert_reply),
        limit="cross_domain",
        request=alerts.AlertNote,
        optional=True,
        reply=alerts.Alert,
        permissions=CURATE,
        example=alerts.AlertNote(note="They renewed."),
    ),
)
