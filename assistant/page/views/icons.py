"""Line icons drawn for this page, 24 by 24, in the colour of the text around them. Templates use `{{ icons.plus }}`."""

PATHS = {
    "thumb": (
        "M7.5 11v9H5a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h2.5Zm0 0 3.7-7.4a2.3 2.3 0 0 1 2.3 2.6L13 10h4.9a2 "
        "2 0 0 1 2 2.3l-.9 6a2 2 0 0 1-2 1.7H7.5"
    ),
    "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 8a7 7 0 0 1 14 0",
    "copy": (
        "M9 9h9a1.5 1.5 0 0 1 1.5 1.5v8A1.5 1.5 0 0 1 18 20h-7.5A1.5 1.5 0 0 1 9 18.5V9Zm-3 6h-.5A1.5 "
        "1.5 0 0 1 4 13.5v-8A1.5 1.5 0 0 1 5.5 4h8A1.5 1.5 0 0 1 15 5.5V6"
    ),
    "retry": "M19 12a7 7 0 1 1-2.1-5M19 4v4h-4",
    "undo": "M8.5 13.5 4 9l4.5-4.5M4 9h10a5.5 5.5 0 0 1 0 11h-3.5",
    "pencil": "M4.5 19.5 5.4 15.6 16 5a2 2 0 0 1 2.9 0l.1.1a2 2 0 0 1 0 2.9L8.4 18.6l-3.9.9ZM14 7l3 3",
    "plus": "M12 5v14M5 12h14",
    "menu": "M4 7h16M4 12h16M4 17h10",
    "more": "M6 12h.01M12 12h.01M18 12h.01",
    "down": "M12 5v14m-6-6 6 6 6-6",
    "cross": "m6.5 6.5 11 11M17.5 6.5l-11 11",
    "bin": (
        "M5 7h14M10 7V5a1 1 0 0 1 1-1h2a1 1 0 0 1 1 1v2m3 0-.7 11.1a2 2 0 0 1-2 1.9H9.7a2 2 0 0 1-2-1.9L7 7"
    ),
    "left": "m14.5 6-6 6 6 6",
    "right": "m9.5 6 6 6-6 6",
    "sliders": "M4 8h9m5 0h2M4 16h2m5 0h9M15.5 5.5v5m-7 3v5",
    "improve": "M5 19h14M6 15l.6-2.9L14.2 4.5a1.6 1.6 0 0 1 2.3 2.3L8.9 14.4 6 15Z",
    "bulb": (
        "M9.5 18h5m-4 3h3M12 3a6 6 0 0 0-3.5 10.9c.6.5 1 1.2 1 2V16h5v-.1c0-.8.4-1.5 1-2A6 6 0 0 0 12 3Z"
    ),
    "bars": "M5 20v-6m5 6V5m5 15v-9m5 9v-4",
    "save": "M12 4v11m-4-4 4 4 4-4M5 19h14",
    "open": "M12 15V4M8 8l4-4 4 4M5 19h14",
}
"""The outline of each icon by its name, as the `d` attribute of an SVG path."""
