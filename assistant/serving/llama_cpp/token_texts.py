"""The text by which llama.cpp knows each token of a converted base.

llama.cpp names the tokens that it draws by their texts alone, one token a part of its stream, and holds back the bytes
of a character until it is whole. Its grammars read the same texts. So each token has a text of its own, in which each
byte beyond ASCII is a character: any text can then be written token by token, however its characters are divided among
them. A token that no text can contain, such as END or one whose bytes another token has too, has a name.
"""

from assistant.serving.tokenizing.token_bytes import bytes_as_letters, token_bytes
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

STAND_IN = 0xE000
"""This character and those after it stand for bytes; Unicode reserves them for private use."""


def token_texts(tokenizer: Tokenizer, size: int) -> list[tuple[str, bool]]:
    """The text of each of the vocabulary's `size` tokens, and whether it is a name: see above. All differ."""
    added = tokenizer.added_tokens_decoder
    texts: list[tuple[str, bool]] = []
    taken = {f"<|{token}|>" for token in range(size)}
    # The last first: where a vocabulary spells a text twice, its tokens of single bytes come before its words.
    for token in reversed(range(size)):
        named = token in added and (added[token].special or bool(added[token].content.strip()))
        text = "" if named else shown(token_bytes(tokenizer, token))
        if not text or text in taken:
            # In letters that stand for themselves: llama.cpp shows a name as the file spells it.
            named, text = True, f"<|{token}|>"
        taken.add(text)
        texts.append((text, named))
    return texts[::-1]


def shown(content: bytes) -> str:
    """Bytes as characters: ASCII, and for each other byte the character that stands for it."""
    return "".join(chr(byte if byte < 0x80 else STAND_IN + byte) for byte in content)


def stored(text: str) -> str:
    """A token's text as a GGUF file of the kind "gpt2" spells it: a letter for each of its bytes."""
    return bytes_as_letters(text.encode())
