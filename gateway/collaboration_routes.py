"""The rows of the API's table about what domains are asked for."""

from contracts import collaborating as asked
from contracts.collaboration import Concluded, ConcludedInPart
from gateway import collaborating
from gateway.rows import Answers, Does, Route

COLLABORATION: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/collaborations/types",
        summary="What each domain may be asked for, with the schemas of the contexts",
        action=Answers(collaborating.types),
        limit="cross_domain",
        reply=asked.RequestTypes,
    ),
    Route(
        method="POST",
        path="/v1/collaborations",
        summary="Ask a domain for one of its request types; the outcome is typed, however it ends",
        action=Does(collaborating.ask, (Concluded,), collaborating.ask_reply, parts=(ConcludedInPart,)),
        limit="cross_domain",
        request=asked.AskDomain,
        reply=asked.CollaborationView,
        status=201,
        permissions=("cross_domain:collaborate",),
        example=asked.AskDomain(
            domain="artemis",
            request_type="technical_feasibility_analysis",
            question="Can we build a self-service portal by March?",
            priority=4,
        ),
    ),
    Route(
        method="GET",
        path="/v1/collaborations",
        summary="What you, and domains for you, have asked for, newest first (an administrator: everybody)",
        action=Answers(collaborating.collaborations),
        limit="cross_domain",
        query=asked.CollaborationsQuery,
        reply=asked.Collaborations,
    ),
    Route(
        method="GET",
        path="/v1/collaborations/{collaboration}",
        summary="One request to a domain, with its outcome as far as there is one",
        action=Answers(collaborating.collaboration),
        limit="cross_domain",
        reply=asked.CollaborationView,
    ),
)
