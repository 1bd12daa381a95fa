"""Bearer tokens of an OpenID Connect issuer: signed JSON (RFC 7519) that says who the caller is.

A token is believed where one of the issuer's public keys has signed it with an asymmetric algorithm that the operator
allows, for this service, for now. The algorithm that the token's own head names is only ever looked up in that list
and has to fit the key, so neither `none` nor a secret made of the public key passes (RFC 8725, 3.1 and 3.2).

A bearer token can be used again by whoever holds it until it expires. Against that there are: an age after which a
token is refused even though it has not expired; tokens that ask to be used once (a claim, with `jti`); and tokens that
are bound to a client's certificate (RFC 8705), which are of no use without its key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from noyau.api.keys import KeyRing, PublicKey
from noyau.domain.errors import NoyauError, Unauthenticated

KEY_KINDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
        **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
        "EdDSA": "OKP",
    }
)
"""The algorithms that can be allowed, with the kind of key that each takes (RFC 7518, RFC 8037)."""

LONGEST_TOKEN = 16_384
LONGEST_NAME = 150
MOST_GROUPS = 1000
_RENEW = "Get a new token from your identity provider."


@dataclass(frozen=True)
class TokenRules:
    """What a token has to say.

    Attributes:
        issuer: exactly this one.
        audience: one of these.
        algorithms: of the signature; keys of `KEY_KINDS`.
        leeway: seconds that clocks may differ.
        longest_age: seconds after its making in which a token is taken, whenever it expires.
        user, groups, roles: names of the claims; dots lead into objects, as in `realm_access.roles`.
        once: name of the claim with which a token asks to be used once.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ("RS256", "ES256", "PS256", "EdDSA")
    leeway: float = 30.0
    longest_age: float = 86_400.0
    user: str = "sub"
    groups: str = "groups"
    roles: str = "roles"
    once: str = "noyau_once"


@dataclass(frozen=True)
class TokenFacts:
    """What a good token says.

    Attributes:
        user, groups, roles: of the caller.
        expires: until when the token is taken, leeway and longest age included; seconds since 1970.
        once: what the token is remembered by once it was used; empty for one that may be used again.
        certificate: SHA-256 of the certificate that it is bound to (base64url without padding); empty for none.
    """

    user: str
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    expires: float
    once: str = ""
    certificate: str = ""


class TokenVerifier:
    """Checks tokens. Blocks while keys are fetched."""

    def __init__(self, rules: TokenRules, keys: KeyRing) -> None:
        self._rules = rules
        self._keys = keys

    def verify(self, token: str) -> TokenFacts:
        """What the token says.

        Raises:
            Unauthenticated: it is not to be believed; nothing of its text is repeated.
            Unavailable, FailedPrecondition: the keys cannot be had.
        """
        if len(token) > LONGEST_TOKEN:
            raise _refused("is too long", f"Tokens of up to {LONGEST_TOKEN} characters are taken.")
        header = _header(token)
        algorithm = header.get("alg")
        if algorithm not in self._rules.algorithms:
            known = ", ".join(self._rules.algorithms)
            raise _refused("is not signed with an algorithm that this service takes", f"It takes {known}.")
        if "crit" in header:
            raise _refused("asks for an extension that this service does not know", _RENEW)
        claims = self._claims(token, algorithm, self._key(header, algorithm))
        return self._facts(claims)

    def _key(self, header: Mapping[str, Any], algorithm: str) -> PublicKey:
        name = header.get("kid")
        key = self._keys.find(name if name is None else str(name))
        if key is None:
            raise _refused("is signed with a key that its issuer does not publish", _RENEW)
        if key.kind != KEY_KINDS[algorithm] or key.algorithm not in ("", algorithm):
            raise _refused("names another algorithm than the one its key is for", _RENEW)
        return key

    def _claims(self, token: str, algorithm: str, key: PublicKey) -> dict[str, Any]:
        import jwt

        rules = self._rules
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(dict(key.jwk), algorithm=algorithm).key,
                algorithms=[algorithm],
                audience=list(rules.audience),
                issuer=rules.issuer,
                leeway=rules.leeway,
                options={"require": ["exp", "iat", "iss", "aud"], "verify_sub": False, "verify_jti": False},
            )
        except jwt.PyJWTError as error:
            raise _explained(error) from None  # its text may repeat the token
        except (ValueError, TypeError, OverflowError, ArithmeticError):
            raise _refused("cannot be read", _RENEW) from None
        return claims

    def _facts(self, claims: Mapping[str, Any]) -> TokenFacts:
        rules = self._rules
        oldest = float(claims["iat"]) + rules.longest_age
        if time.time() > oldest + rules.leeway:
            raise _refused(f"was made more than {rules.longest_age / 3600:g} hours ago", _RENEW)
        expires = min(float(claims["exp"]), oldest) + rules.leeway
        user = _at(claims, rules.user)
        if not isinstance(user, str) or not _is_name(user):
            raise _refused(f"has no usable name in its claim '{rules.user}'", "Ask an operator: `auth.tokens.user`.")
        return TokenFacts(
            user,
            _names(_at(claims, rules.groups), rules.groups),
            _names(_at(claims, rules.roles), rules.roles),
            expires,
            self._once(claims),
            _thumbprint(claims),
        )

    def _once(self, claims: Mapping[str, Any]) -> str:
        if not _at(claims, self._rules.once):
            return ""
        identifier = claims.get("jti")
        if not isinstance(identifier, str) or not identifier:
            raise _refused("asks to be used once, but has no identifier (jti)", _RENEW)
        return f"{self._rules.issuer} {identifier}"


def _header(token: str) -> dict[str, Any]:
    import jwt

    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _refused(
            "cannot be read", "Send a signed token (JWS, three parts) as `authorization: Bearer ...`."
        ) from None


def _explained(error: Exception) -> NoyauError:
    import jwt

    clock = "Check the clocks of this service and of the token's issuer."
    reasons: tuple[tuple[type[Exception], str, str], ...] = (
        (jwt.ExpiredSignatureError, "has expired", _RENEW),
        (jwt.ImmatureSignatureError, "is not valid yet", clock),
        (jwt.InvalidIssuedAtError, "says no time at which it was made", _RENEW),
        (jwt.InvalidAudienceError, "is meant for another service", "Ask for one with this service as its audience."),
        (jwt.InvalidIssuerError, "comes from another issuer", "Get one from the issuer of this service."),
        (jwt.MissingRequiredClaimError, "lacks a claim (exp, iat, iss and aud are needed)", _RENEW),
        (jwt.InvalidSignatureError, "has a signature that is not its issuer's", _RENEW),
    )
    for kind, why, remedy in reasons:
        if isinstance(error, kind):
            return _refused(why, remedy)
    return _refused("cannot be read", _RENEW)


def _at(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name or, where no claim has that name, by the path that its dots make."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _names(value: Any, claim: str) -> tuple[str, ...]:
    """A list of names, or one; empty where the claim is absent."""
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list) or len(found) > MOST_GROUPS or not all(_is_name(name) for name in found):
        raise _refused(f"has something else than a list of names in its claim '{claim}'", "Ask its issuer.")
    return tuple(dict.fromkeys(found))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable() and bool(value.strip())


def _thumbprint(claims: Mapping[str, Any]) -> str:
    bound = claims.get("cnf")
    if bound is None:
        return ""
    found = bound.get("x5t#S256") if isinstance(bound, Mapping) else None
    if not isinstance(found, str) or not found:
        raise _refused("is bound to its holder in a way that cannot be checked here", "Bind it to a certificate.")
    return found


def _refused(why: str, remedy: str) -> Unauthenticated:
    return Unauthenticated(f"The token {why}.", remedy)
