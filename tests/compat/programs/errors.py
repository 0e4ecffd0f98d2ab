"""Errors, as programs catch them."""

import os

import httpx
import pydantic

from friendli import SyncFriendli, models

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]

with SyncFriendli(token="t", server_url=URL, retry_config=None) as friendli:
    chat = friendli.dedicated.chat

    def attempt(model, name="", stream=False, **more):
        name = name or model
        more = {"messages": HELLO, **more}
        try:
            if not stream:
                chat.complete(model=model, **more)
            elif hasattr(chat, "stream"):
                list(chat.stream(model=model, **more))
            else:
                list(chat.complete(model=model, stream=True, **more))
            print(f"{name}: no error")
        except models.SDKError as error:
            print(f"{name}: SDKError")
            print(f"{name}, message:", str(error).splitlines()[0])
            print(f"{name}, same text:", str(error) == error.message)
            print(f"{name}, body:", error.status_code, error.body)
            print(
                f"{name}, headers:",
                error.headers["content-type"],
                error.headers.get("X-Request-Id"),
            )
            print(f"{name}, response:", isinstance(error.raw_response, httpx.Response))
            print(f"{name}, url:", str(error.raw_response.url).removeprefix(URL).split("#")[0])
        except models.ResponseValidationError as error:
            print(f"{name}: ResponseValidationError")
            print(f"{name}, message:", str(error).splitlines()[0])
            print(f"{name}, body:", error.status_code, error.body)
            print(f"{name}, response:", isinstance(error.raw_response, httpx.Response))
            print(
                f"{name}, cause:",
                isinstance(error.cause, ValueError),
                error.cause is error.__cause__,
            )
        except pydantic.ValidationError as error:
            print(f"{name}: ValidationError")
            print(f"{name}, places:", sorted({str(e["loc"][-1]) for e in error.errors()}))
        except (TypeError, httpx.HTTPError) as error:
            print(f"{name}:", type(error).__name__ if type(error) is TypeError else "HTTPError")

    for status in (400, 401, 403, 404, 413, 422, 429, 500, 503):
        attempt(f"status-{status}")
    attempt("status-500-text")
    attempt("status-404", "a stream's 404", stream=True)
    attempt("not-json")
    attempt("wrong-shape")
    attempt("wrong-type")
    attempt("cut", stream=True)
    attempt("no-done", stream=True)
    attempt("error-event", stream=True)
    attempt("plain", "max_tokens", max_tokens="many")
    attempt("plain", "temperature", temperature=[])
    attempt("plain", "text as messages", messages="Hello!")
    attempt("plain", "unknown role", messages=[{"role": "owl", "content": "Hello!"}])
    attempt("plain", "unknown argument", max_token=5)
    attempt("plain", "stop as text", stop="x")
    attempt("hang", timeout_ms=300)
    attempt("hang", "a stream that hangs", timeout_ms=300, stream=True)
    attempt("plain", "no port", server_url="http://127.0.0.1:9")

    try:
        chat.complete(model="hang", messages=HELLO, timeout_ms=300)
    except httpx.TimeoutException as error:
        print("timeout:", isinstance(error, httpx.ReadTimeout), isinstance(error, httpx.HTTPError))
    try:
        chat.complete(model="plain", messages=HELLO, server_url="http://127.0.0.1:9")
    except httpx.ConnectError as error:
        print("refused:", isinstance(error, httpx.TransportError))
    try:
        chat.complete(model="status-404", messages=HELLO)
    except models.FriendliCoreError as error:
        print("common base:", error.status_code)
        print("class of headers:", isinstance(error.headers, httpx.Headers))
        print("request:", error.raw_response.request.method, error.raw_response.request.content[:9])
    try:
        chat.complete("plain", HELLO)
    except TypeError:
        print("positional: TypeError")
    try:
        chat.complete(messages=HELLO)
    except TypeError:
        print("no model: TypeError")

detail = [models.ValidationError(loc=["body", "model"], msg="missing", type="t")]
data = models.HTTPValidationErrorData(detail=detail)
made = models.HTTPValidationError(data, httpx.Response(422, text="the body"))
print("made:", made, made.status_code, made.data.detail[0].loc)
print("made without a reason:", models.NoResponseError())
print("subclasses:", issubclass(models.SDKError, models.FriendliCoreError))
print("of a validation:", issubclass(models.ResponseValidationError, models.FriendliCoreError))
print(
    "other errors:",
    issubclass(models.NoResponseError, Exception),
    models.HTTPValidationError.__name__,
)
try:
    chat.complete(model="plain", messages=HELLO)
except Exception as error:
    print("closed:", isinstance(error, Exception))
