"""The rows of OpenAI's API: its clients and their tools work here, and every chat is durable and audited all the same."""

from contracts.openai_chat import ChatCompletion, CreateChatCompletion, MessageParam, Model, Models
from gateway import completion_stream, completions, models
from gateway.commands import WRITE_ANY
from gateway.rows import Answers, Does, Route

OPENAI: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/chat/completions",
        summary="Ask sophia, artemis or a configured model, in OpenAI's form",
        action=Does(
            completions.complete,
            completions.ENDS,
            completions.completion,
            completion_stream.chunks,
            completions.headers,
            parts=completions.PARTS,
        ),
        limit="system",
        request=CreateChatCompletion,
        reply=ChatCompletion,
        permissions=WRITE_ANY,
        example=CreateChatCompletion(
            model="sophia", messages=(MessageParam(role="user", content="Which customers are at risk?"),)
        ),
        errors="openai",
        streamed=lambda body: bool(body.stream),
    ),
    Route(
        method="GET",
        path="/v1/chat/completions/{completion}",
        summary="An answer that was given to you, as it is recorded",
        action=Answers(completions.recorded),
        limit="system",
        reply=ChatCompletion,
        errors="openai",
    ),
    Route(
        method="GET",
        path="/v1/models",
        summary="The models that you may use, in OpenAI's form",
        action=Answers(models.models),
        limit="system",
        reply=Models,
        errors="openai",
    ),
    Route(
        method="GET",
        path="/v1/models/{model}",
        summary="One model, in OpenAI's form",
        action=Answers(models.model),
        limit="system",
        reply=Model,
        errors="openai",
        rest=True,
    ),
)
