"""Several async chats at once."""

import asyncio
import os

from friendli import AsyncFriendli

URL = os.environ["ENDPOINT_URL"]


async def ask(friendli, question):
    res = await friendli.dedicated.chat.complete(
        model="echo", messages=[{"role": "user", "content": question}], max_tokens=5
    )
    return res.choices[0].message.content


async def main():
    async with AsyncFriendli(token="t", server_url=URL) as friendli:
        answers = await asyncio.gather(*(ask(friendli, f"question {i}") for i in range(8)))
        for number, answer in enumerate(answers):
            print(f"answer {number}:", answer)

        limit = asyncio.Semaphore(2)

        async def limited(question):
            async with limit:
                return await ask(friendli, question)

        done = [await future for future in asyncio.as_completed([limited("é…😀")])]
        print("unicode:", done)

        try:
            await asyncio.wait_for(ask(friendli, "soon"), 60)
            print("in time:", True)
        except TimeoutError:
            print("in time:", False)

    friendli = AsyncFriendli(token="t", server_url=URL)
    coroutine = friendli.dedicated.chat.complete(
        model="plain", messages=[{"role": "user", "content": "Hello!"}]
    )
    print("is async:", asyncio.iscoroutinefunction(friendli.dedicated.chat.complete))
    print("is a coroutine:", asyncio.iscoroutine(coroutine))
    print("outside of a with:", (await coroutine).choices[0].message.content)


asyncio.run(main())
