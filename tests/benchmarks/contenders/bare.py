"""The least an ASGI server can do: read the body, answer as many bytes as the service."""

ANSWER = (
    b'{"output":"f","value":-12.0,"gradients":{"x":-4.0,"y":-4.0,"z":3.0},'
    b'"values":{"x":-2.0,"y":5.0,"z":-4.0,"q":3.0,"f":-12.0}}'
)
HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(ANSWER)).encode()),
    ],
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send(HEAD)
    await send({"type": "http.response.body", "body": ANSWER})
