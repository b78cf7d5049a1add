"""The errors that the chat page shows, in English, by the name of their class."""

ERRORS = {
    "AssistantError": "Try again.",
    "EmptyMessage": "The message is empty. Write something first.",
    "PromptError": "The model cannot read a conversation like this one. Start a new one.",
    "TooLong": "This message is too long: it has {tokens} tokens, and the model has room for {most}. "
    "Shorten it, or send it in parts.",
    "EngineError": "The answer was interrupted. Send the message again.",
    "EngineBusy": "Too many people are chatting right now. Send the message again in a moment.",
    "FormatRefused": "The model cannot answer in that format. Ask for another one.",
    "UnknownModel": "This version is no longer available. Send the message again.",
    "ConversationError": "The conversation has changed meanwhile. Reload the page and try again.",
    "NotHere": "This no longer exists; it may have been deleted in another tab. Reload the page, or start a new "
    "conversation.",
    "NotYours": "This conversation belongs to somebody else. Start one of your own.",
    "NothingToUndo": "There is nothing to take back: the conversation is empty.",
    "VersionGone": "This answer is from {version}, which is not available now. Request a new answer, and continue "
    "from that one.",
    "NoTokens": "This answer has no tokens to show: it was stopped before the first one, it was opened from a "
    "file, or its version no longer exists.",
    "VersionError": "The version cannot be opened. Tell whoever runs this page: the server's log says why.",
    "ModelError": "The model cannot be opened. Tell whoever runs this page: the server's log says why.",
    "StoreError": "It could not be saved. Try again later; if that does not help, tell whoever runs this page.",
    "StoreConflict": "It was saved twice at the same moment. Try again.",
    "StoreDamaged": "The database is damaged, and nothing can be saved. Tell whoever runs this page.",
    "StoreUnavailable": "The database cannot be reached at the moment. Try again later.",
    "StoreUnwritable": "The database cannot be written; the disk may be full. Tell whoever runs this page.",
    "UnknownConversation": "This conversation no longer exists. Start a new one.",
    "UnknownMessage": "This message no longer exists. Reload the page.",
    "UnknownRater": "This server does not know you yet. Reload the page and try again.",
    "UnknownReply": "This answer no longer exists. Reload the page.",
    "InvalidMessage": "This message cannot be saved: it is too long, or it contains invalid characters. Change it.",
    "InvalidRating": "This rating cannot be saved: the comment is too long, or it contains invalid characters.",
    "UnknownReason": "This reason cannot be saved. Choose one of those that are offered, or write a comment.",
    "InvalidCorrection": "This answer cannot be saved: it is too long, or it contains invalid characters.",
    "InvalidComparison": "This choice cannot be saved: the two no longer answer the same message. Reload the page.",
}
