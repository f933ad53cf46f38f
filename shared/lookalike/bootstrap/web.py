"""Build what connects to hosts on the web: the fetcher of pictures, and the webhook."""

import threading
from typing import TYPE_CHECKING, Any

import lookalike
from lookalike import images
from lookalike.bootstrap.index import utc_now
from lookalike.bootstrap.lazy import lazy
from lookalike.domain.errors import Misconfigured
from lookalike.domain.ports.pictures import PictureFetcher
from lookalike.domain.ports.webhooks import Webhooks
from lookalike.domain.web_address import AllowedHosts, parse_web_address
from lookalike.domain.webhook import parse_secrets
from lookalike.settings import Settings
from lookalike.usecases.notify import Notify

if TYPE_CHECKING:
    from lookalike.adapters.http_pictures import HttpPictures

FEED_TIMEOUT = 900.0
"""Seconds in which a feed must be fetched."""
MAX_FEED_BYTES = 512 * 2**20
"""Size of a feed that is fetched from the web. It is kept in memory; feeds in files and buckets are streamed."""
WEBHOOK_TIMEOUT = 20.0
"""Seconds in which a receiver must respond. The specification recommends 15 to 30."""


class WebServices:
    """The part of the services that connects to hosts on the web."""

    settings: Settings
    lock: threading.RLock
    lazy_values: dict[str, Any]

    @property
    def pictures(self) -> PictureFetcher:
        """Fetches pictures from the hosts that PICTURE_HOSTS permits."""
        return self._http_pictures

    @lazy
    def _http_pictures(self) -> "HttpPictures":
        return open_pictures(self.settings)

    def close_picture_connections(self) -> None:
        """Close the connections that are kept open for the next pictures."""
        self._http_pictures.close()

    @lazy
    def notify(self) -> Notify:
        """Tells the webhook that long work is done."""
        return Notify(open_webhooks(self.settings), utc_now)


def user_agent() -> str:
    """Return the name under which requests are sent."""
    return f"lookalike/{lookalike.__version__} (fashion image search)"


def open_pictures(settings: Settings) -> "HttpPictures":
    """Open the fetcher of pictures from the hosts that PICTURE_HOSTS permits."""
    from lookalike.adapters.checked_http import CheckedHttp
    from lookalike.adapters.http_pictures import HttpPictures

    client = CheckedHttp(AllowedHosts.parse(settings.picture_hosts))
    return HttpPictures(client, images.MAX_BYTES, user_agent())


def open_feeds(settings: Settings) -> "HttpPictures":
    """Open the fetcher of product feeds, from the same hosts as pictures."""
    from lookalike.adapters.checked_http import CheckedHttp, Timeouts
    from lookalike.adapters.http_pictures import HttpPictures, check_encoding

    client = CheckedHttp(AllowedHosts.parse(settings.picture_hosts), Timeouts(total=FEED_TIMEOUT))
    return HttpPictures(client, MAX_FEED_BYTES, user_agent(), check=check_encoding)


def open_webhooks(settings: Settings) -> Webhooks | None:
    """Open the webhook, or return `None` without WEBHOOK_URL.

    WEBHOOK_URL permits its own host and port. A name must lead to public addresses; an IP address may be private.
    """
    if not settings.webhook_url:
        return None
    from lookalike.adapters.checked_http import CheckedHttp, Timeouts
    from lookalike.adapters.webhooks import HttpWebhooks

    address = parse_web_address(settings.webhook_url, "WEBHOOK_URL")
    keys = parse_secrets(settings.webhook_secret.get_secret_value())
    if not keys:
        raise Misconfigured("WEBHOOK_URL needs WEBHOOK_SECRET")
    allowed = AllowedHosts.for_address(address, "WEBHOOK_URL")
    client = CheckedHttp(allowed, Timeouts(read=WEBHOOK_TIMEOUT, total=WEBHOOK_TIMEOUT))
    return HttpWebhooks(client, address, keys, user_agent())
