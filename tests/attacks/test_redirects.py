"""Where a redirect may lead: the same scheme, host and port."""

from __future__ import annotations

import httpx
import pytest

from routed_llm import Exchange, RedirectRefused, guard_client

HERE = "https://gateway.example:8443/v1/chat/completions"


@pytest.mark.parametrize(
    ("to", "followed"),
    [
        ("/v2/chat/completions", True),
        ("chat", True),
        ("https://GATEWAY.example:8443/v2", True),
        ("https://gateway.example:9443/v1", False),
        ("https://gateway.example/v1", False),
        ("http://gateway.example:8443/v1", False),
        ("https://gateway.example.evil:8443/v1", False),
        ("https://gateway.example@evil:8443/v1", False),
        ("//evil:8443/v1", False),
    ],
)
def test_where_a_redirect_may_lead(to: str, followed: bool) -> None:
    """A key goes to its own origin only, whatever the place looks like."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(307, headers={"location": to}) if len(asked) == 1 else httpx.Response(404)

    with httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        guard_client(client)
        with Exchange().current():
            if followed:
                client.post(HERE, json={})
            else:
                with pytest.raises(RedirectRefused):
                    client.post(HERE, json={})
    assert {(url.scheme, url.host, url.port) for url in asked} == {("https", "gateway.example", 8443)}
    assert len(asked) == 1 + followed
