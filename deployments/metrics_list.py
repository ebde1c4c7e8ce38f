"""Every figure that Balto exports, once: what code may count, and what dashboards and alerts may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric: its kind, the names of its labels, and what it says."""

    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


def _count(meaning: str, *labels: str) -> Figure:
    return Figure("counter", meaning, labels)


def _gauge(meaning: str, *labels: str) -> Figure:
    return Figure("gauge", meaning, labels)


def _ms(meaning: str, *labels: str) -> Figure:
    return Figure("histogram", f"{meaning}, milliseconds", labels)


METRICS: Final[dict[str, Figure]] = {
    # the door
    "counters": _gauge("counters connected to a replica"),
    "handshakes": _count("connections by how they were answered", "result", "generation"),
    "counters_turned_out": _count("closed because their key was revoked"),
    "counters_sent_elsewhere": _count("asked to reconnect, by a replica that goes away"),
    "sessions_resumed": _count("conversations taken up again", "known"),
    "sessions_taken_over": _count("sessions whose second connection replaced the first"),
    "registry_unanswered": _count("roll calls that telemetry did not answer"),
    "inflow_refused": _count("messages beyond a counter's limits", "what"),
    "audio_invalid": _count("connections whose audio could not be decoded"),
    "overload_level": _gauge("step of load shedding in force; 0: none"),
    "shed": _count("work left undone under load", "what"),
    "loop_lag_ms": _ms("how late a replica's event loop is"),
    "turn_wait_ms": _ms("an utterance's wait for its turn"),
    "turns_missed": _count("utterances whose turn came too late"),
    "pages": _count("pages served", "page"),
    "sign_ins": _count("people who signed in", "role", "result"),
    "access_proofs_refused": _count("wrong passwords, codes and secrets"),
    "access_throttled": _count("requests refused after too many wrong tries"),
    # money
    "spent_usd": _count("US dollars spent, at list prices", "what"),
    "spending_unread": _count("readings of the day's sum that failed", "error"),
    "budget_level": _gauge("everybody's budget: 1 soft, 2 economical, 3 rules only"),
    "budget_changes": _count("budgets that came to a level", "whose", "level"),
    "clients_over_soft_budget": _gauge("clients beyond a limit of theirs"),
    "clients_over_hard_budget": _gauge("clients close to or beyond their hard limit"),
    # an utterance's way
    "utterances": _count("utterances found, by why they ended", "cut"),
    "outcomes": _count("utterances by how they ended", "outcome"),
    "utterances_lost": _count("utterances that were accepted and not answered", "reason"),
    "utterances_left_to_resend": _count("utterances that their counter sends again"),
    "segment_to_suggestion_ms": _ms("end of utterance to suggestion on the socket"),
    "stage_failures": _count("calls of a stage that failed", "stage", "error"),
    "speculation": _count("utterances handed on before they ended", "result"),
    "speculation_cost_usd": _count("US dollars for hand-overs that were withdrawn"),
    "suggestions_sent_again": _count("suggestions repeated after a resume"),
    "suggestions_held_back": _count("suggestions not shown", "reason"),
    "feedback": _count("what became of suggestions", "result"),
    "redactions": _count("taken out of texts, by kind", "kind"),
    # voice
    "voice_utterances_total": _count("utterances examined", "outcome"),
    "voice_examine_ms": _ms("examining one utterance"),
    "voice_cleaned_total": _count("utterances that were cleaned"),
    "voice_confirmer_unavailable_total": _count("replicas that started without the confirming model"),
    "voice_confirm_bypassed_total": _count("utterances passed on unconfirmed"),
    # speech to text
    "stt_outcomes": _count("answers of speech recognition", "provider", "status"),
    "stt_ms": _ms("a whole recognition, failover included", "provider"),
    "stt_discarded": _count("recognised texts that were not believed", "provider", "reason"),
    "stt_attempts": _count("single requests to a provider", "provider", "result"),
    "stt_attempt_ms": _ms("one request to a provider", "provider"),
    "stt_breaker_open": _gauge("1 while a provider is left alone", "provider"),
    "stt_hedges": _count("slow requests that were overtaken", "provider"),
    "stt_retries_refused": _count("retries beyond the budget of retries"),
    "stt_cost_usd": _count("US dollars spent on recognition", "provider"),
    "stt_audio_sent_s": _count("seconds of audio sent", "provider"),
    "stt_comparisons": _count("samples heard by two providers", "first", "second", "result"),
    "stt_compared_words": _count("words compared", "first", "second"),
    "stt_compared_differences": _count("words that two providers heard differently", "first", "second"),
    "stt_realtime": _count("utterances listened to along: ok, or why they went to batch", "result"),
    "stt_realtime_ms": _ms("a realtime commit"),
    "stt_realtime_sessions": _gauge("counters with a realtime session"),
    "stt_realtime_ended": _count("realtime connections that ended", "why"),
    "stt_realtime_dropped": _count("realtime messages left aside", "kind"),
    "stt_local_batches": _count("batches of the local recogniser", "size"),
    # advice
    "advice_total": _count("answers by origin and status", "origin", "status"),
    "advice_route_total": _count("answers by the way they came", "route"),
    "advice_ms": _ms("one answer", "origin"),
    "advisor_attempts_total": _count("single requests to a language model's provider", "advisor", "result"),
    "advisor_failures_total": _count("advisors that gave up", "advisor", "error"),
    "advisor_breaker_openings_total": _count("language providers left alone", "advisor", "kind"),
    "advisor_tokens_total": _count("tokens", "direction"),
    "advisor_cost_usd_total": _count("US dollars spent on language models"),
    "llm_calls_avoided_total": _count("calls that rules made unnecessary", "route"),
    "llm_saved_usd_total": _count("US dollars not spent, estimated"),
    "llm_saved_ms_total": _count("milliseconds not waited, estimated"),
    "category_cache_total": _count("look-ups of remembered categories", "result"),
    "catalogue_loads_total": _count("catalogues read", "result"),
    "ordered_suggestions_total": _count("cestas put in order, learned or as the pharmacist wrote them", "arm"),
    "ordering_fetch_failures_total": _count("looks at what customers took that failed"),
    # what is recorded
    "rows_dropped": _count("rows lost before the outbox had them"),
    "record_retries": _count("hand-overs to telemetry that were tried again", "error"),
    "audio_dropped": _count("audio that was to be kept and was not", "reason"),
    "telemetry_commit_ms": _ms("making a batch of rows durable in the outbox"),
    "telemetry_batch_ms": _ms("writing a batch of rows to the database"),
    "telemetry_rows_written": _count("rows new to the database"),
    "telemetry_rows_refused": _count("rows that the database refused for good"),
    "telemetry_rows_set_aside": _gauge("refused rows kept in the outbox"),
    "telemetry_shipping_failures": _count("tries that did not reach the database", "kind"),
    "telemetry_outbox_rows": _gauge("rows that the database does not have yet"),
    "telemetry_outbox_oldest_s": _gauge("age of the oldest of them, seconds"),
    "telemetry_outbox_bytes": _gauge("size of the outbox, bytes"),
    "telemetry_outbox_full": _count("rows refused because the outbox was full"),
    "telemetry_disk_free_bytes": _gauge("bytes free where the outbox lies"),
    "telemetry_counters_from_memory": _count("counters let in by memory, the database being away"),
    "telemetry_sessions_from_outbox": _count("sessions resumed from the outbox alone"),
    "telemetry_sessions_erased": _count("sessions erased on request"),
    "telemetry_audio_kept": _count("utterances whose audio was kept"),
    "telemetry_retention_runs": _count("runs of the retention job"),
    "telemetry_retention_failures": _count("runs of it that failed"),
    "telemetry_retention_rows": _count("rows and files that it removed", "what"),
    # the owner's console
    "console_hours_counted": _count("marks of changed hours that the console's figures took in"),
    "console_rollup_failures": _count("tries to bring the console's figures up to date that failed"),
    "console_watchers": _gauge("live lists open on a replica"),
    "console_live_failures": _count("looks at the latest interactions that failed"),
    "traces_sent": _count("utterances whose trace was delivered"),
    "traces_dropped": _count("utterances whose trace was not", "reason"),
}
"""Name → figure, without the prefix `balto_` that the service adds and the prefix `ray_` that Ray adds."""


def exported(name: str) -> tuple[str, ...]:
    """The names under which Prometheus finds the figure `name`. Raises KeyError for one that is not in METRICS."""
    full = f"ray_balto_{name}"
    match METRICS[name].kind:
        case "gauge":
            return (full,)
        case "counter":
            return (full if full.endswith("_total") else f"{full}_total",)
        case "histogram":
            return (f"{full}_bucket", f"{full}_sum", f"{full}_count")
