"""Python client of the service: `from noyau.client import Client`."""

from noyau.client.client import Client, Page, Preview
from noyau.client.proofs import TokenFile
from noyau.client.security import Security

__all__ = ["Client", "Page", "Preview", "Security", "TokenFile"]
