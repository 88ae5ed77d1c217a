"""The rows of the API's table about the knowledge base."""

from contracts import curating as curated
from contracts import http
from contracts.domains import Clearance
from contracts.knowledge import Knowledge, KnowledgeAdded, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeUpdated
from gateway import commands, curating, importing, queries, summarising, versions
from gateway.commands import CURATE
from gateway.rows import Answers, Does, Route

_KNOWLEDGE = Knowledge(
    title="Pricing for next year",
    content="List prices rise by four per cent in March; renewals are exempt.",
    category="strategic_planning",
    confidentiality=Clearance.CONFIDENTIAL,
    strategic_priority=8,
    tags=("pricing",),
)

KNOWLEDGE: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/knowledge",
        summary="Add a knowledge item",
        action=Does(curating.add_knowledge, (KnowledgeAdded,), curating.item_reply),
        limit="cross_domain",
        request=Knowledge,
        reply=http.KnowledgeItem,
        status=201,
        permissions=CURATE,
        example=_KNOWLEDGE,
    ),
    Route(
        method="POST",
        path="/v1/knowledge/search",
        summary="Search what the company knows, under your clearance",
        action=Answers(queries.search_knowledge),
        limit="cross_domain",
        request=http.SearchKnowledge,
        reply=http.KnowledgeHits,
        example=http.SearchKnowledge(query="pricing of renewals", limit=5),
    ),
    Route(
        method="POST",
        path="/v1/knowledge/imports",
        summary="Say what stands at a place of your collection: the item made of it follows",
        action=Does(importing.import_item, (KnowledgeAdded, KnowledgeUpdated), curating.item_reply),
        limit="cross_domain",
        request=curated.ImportItem,
        reply=http.KnowledgeItem,
        status=201,
        permissions=CURATE,
        example=curated.ImportItem(collection="handbook", key="pricing/2027.md", knowledge=_KNOWLEDGE),
    ),
    Route(
        method="GET",
        path="/v1/knowledge/imports",
        summary="What you imported into a collection, with the digest of what stood there",
        action=Answers(importing.imports),
        limit="cross_domain",
        query=curated.ImportsQuery,
        reply=curated.ImportedItems,
        permissions=CURATE,
    ),
    Route(
        method="GET",
        path="/v1/knowledge/summary",
        summary="What matters to the business, technically or in the market: priorities, insights, risks, opportunities, advice",
        action=Answers(summarising.summary),
        limit="cross_domain",
        query=curated.SummaryQuery,
        reply=curated.StrategicSummary,
    ),
    Route(
        method="GET",
        path="/v1/knowledge/{item}",
        summary="One knowledge item",
        action=Answers(queries.knowledge_item),
        limit="cross_domain",
        reply=http.KnowledgeItem,
    ),
    Route(
        method="GET",
        path="/v1/knowledge/{item}/versions",
        summary="The versions of a knowledge item, newest first; of one that has ended only for who may change knowledge",
        action=Answers(versions.versions),
        limit="cross_domain",
        query=curated.VersionsQuery,
        reply=curated.KnowledgeVersions,
    ),
    Route(
        method="GET",
        path="/v1/knowledge/{item}/versions/{version}",
        summary="What a knowledge item said in one version",
        action=Answers(versions.version),
        limit="cross_domain",
        reply=curated.KnowledgeVersion,
    ),
    Route(
        method="PUT",
        path="/v1/knowledge/{item}",
        summary="Replace a knowledge item, at the same level or a higher one",
        action=Does(curating.update_knowledge, (KnowledgeUpdated,), curating.item_reply),
        limit="cross_domain",
        request=Knowledge,
        reply=http.KnowledgeItem,
        permissions=CURATE,
        example=_KNOWLEDGE,
    ),
    Route(
        method="POST",
        path="/v1/knowledge/{item}/declassify",
        summary="Lower a knowledge item's confidentiality, saying why; who did is recorded",
        action=Does(curating.declassify_knowledge, (KnowledgeDeclassified,), curating.item_reply),
        limit="cross_domain",
        request=http.Declassify,
        reply=http.KnowledgeItem,
        permissions=("knowledge:declassify",),
        example=http.Declassify(confidentiality=Clearance.INTERNAL, reason="announced to all staff on 1 March"),
    ),
    Route(
        method="DELETE",
        path="/v1/knowledge/{item}",
        summary="Delete a knowledge item",
        action=Does(curating.delete_knowledge, (KnowledgeDeleted,), commands.nothing),
        limit="cross_domain",
        status=204,
        permissions=CURATE,
    ),
)
