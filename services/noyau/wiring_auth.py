"""Settings turned into what the service does about its callers."""

from __future__ import annotations

from noyau.api.audit import AuditLog
from noyau.api.binding import Binding
from noyau.api.gate import Gate
from noyau.api.grants import Grants
from noyau.api.guard import Protection
from noyau.api.keys import KeyRing
from noyau.api.ports import Desk
from noyau.api.rates import Rates
from noyau.api.tokens import TokenRules, TokenVerifier
from noyau.config import Settings
from noyau.config_auth import TokenSettings
from noyau.jobs.settings import GroupLimits, JobLimits
from noyau.jobs.store import JobStore


def protection(settings: Settings, store: JobStore, desk: Desk | None) -> Protection:
    """The protection of a coordinator.

    Raises:
        FailedPrecondition: the audit log cannot be written.
    """
    auth, limits = settings.auth, settings.limits
    audit = AuditLog(auth.audit_file, auth.audit_reads) if auth.audit_file is not None else None
    grants = Grants(frozenset(auth.operators), auth.managers, auth.groups)
    return Protection(
        Gate(settings.asks_callers, grants, token_verifier(auth.tokens), desk, store.use_once),
        Rates(limits.calls_per_minute, limits.calls_at_once),
        audit,
        settings.listen.request_seconds,
    )


def binding_of(settings: Settings) -> Binding:
    """Where the service listens.

    Raises:
        InvalidInput, FailedPrecondition: it may not listen there.
    """
    listen = settings.listen
    return Binding(
        listen.address,
        listen.tls_certificate,
        listen.tls_key,
        listen.tls_client_ca,
        listen.insecure,
        settings.asks_callers,
    )


def token_verifier(given: TokenSettings) -> TokenVerifier | None:
    """What checks tokens; None where no issuer is set."""
    if given.issuer is None or given.keys is None:
        return None
    rules = TokenRules(
        issuer=given.issuer,
        audience=given.audience,
        algorithms=given.algorithms,
        leeway=given.leeway_seconds,
        longest_age=given.longest_hours * 3600,
        user=given.user,
        groups=given.groups,
        roles=given.roles,
        once=given.once,
    )
    return TokenVerifier(rules, KeyRing(given.keys, given.keys_seconds))


def job_limits(settings: Settings) -> JobLimits:
    """Quotas of all groups, and of those that have their own."""
    jobs = settings.jobs
    groups = {name: GroupLimits(quota.running, quota.queued) for name, quota in jobs.groups.items()}
    return JobLimits(jobs.running_per_group, jobs.queued_per_group, groups=groups)
