"""Request that every client sends, and the text of the canned answer."""

MODEL = "any"
MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "Why is the sky blue?"},
]
TEXT = "Because air scatters blue light more than red."
TOKEN = "none"
FRIENDLI_PATH = "/dedicated/v1/chat/completions"
BODY = (
    b'{"model":"any","messages":[{"role":"system","content":"You answer in one sentence."},'
    b'{"role":"user","content":"Why is the sky blue?"}],"max_tokens":64}'
)
