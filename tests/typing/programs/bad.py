"""Program in which type checkers must report the lines marked `# wrong`, and only those."""

from friendli import SyncFriendli, models

client = SyncFriendli()
chat = client.dedicated.chat
hello = models.UserMessage(content="Hi")

chat.stream(model=1, messages=[hello])  # wrong
chat.stream(model="e", messages=[hello], temperature="hot")  # wrong
chat.stream(model="e", messages=[hello], temprature=1.0)  # wrong
chat.stream("e", [hello])  # wrong
print(chat.complete(model="e", messages=[hello], stream=True).choices)  # wrong
print(chat.complete(model="e", messages=[hello]).text_deltas)  # wrong
client.with_options(tokn="x")  # wrong
chat.complete(model="e", messages=[hello]).usage.total_tokens.upper()  # wrong
