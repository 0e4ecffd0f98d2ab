"""Log probabilities of answers and of streams."""

import math
import os

from friendli import SyncFriendli

URL = os.environ["ENDPOINT_URL"]
HELLO = [{"role": "user", "content": "Hello!"}]

with SyncFriendli(token="t", server_url=URL) as friendli:
    chat = friendli.dedicated.chat
    res = chat.complete(model="logprobs", messages=HELLO, logprobs=True, top_logprobs=2)
    logprobs = res.choices[0].logprobs
    print("class:", type(logprobs).__name__.removesuffix("Output"))
    print("tokens:", [token.token for token in logprobs.content])
    print("first:", logprobs.content[0])
    print("bytes:", [token.bytes_ for token in logprobs.content])
    print("rivals:", [[top.token for top in token.top_logprobs] for token in logprobs.content])
    print("rival's bytes:", logprobs.content[0].top_logprobs[1].bytes_)
    total = sum(token.logprob for token in logprobs.content)
    print("perplexity:", round(math.exp(-total / len(logprobs.content)), 6))
    print("dump:", logprobs.model_dump(by_alias=True))
    print("json:", logprobs.model_dump_json(by_alias=True))
    res = chat.complete(model="plain", messages=HELLO)
    print("without:", res.choices[0].logprobs)

    if hasattr(chat, "stream"):
        events = chat.stream(model="logprobs", messages=HELLO, logprobs=True, top_logprobs=2)
    else:
        events = chat.complete(
            model="logprobs", messages=HELLO, logprobs=True, top_logprobs=2, stream=True
        )
    pairs = []
    with events:
        for event in events:
            choice = event.data.choices[0]
            if choice.logprobs:
                pairs += [(token.token, token.logprob) for token in choice.logprobs.content]
    print("stream:", pairs)
