"""The page's colours, sizes and fonts as a Gradio theme; the style sheets use its variables."""

from __future__ import annotations

from gradio.themes import Base, Color, sizes

LAGOON = Color(
    name="lagoon",
    c50="#eef9f7",
    c100="#d5f1ec",
    c200="#aee3da",
    c300="#7bcdc1",
    c400="#45b1a4",
    c500="#219589",
    c600="#0f7a70",
    c700="#0d625b",
    c800="#0f4f4a",
    c900="#10413d",
    c950="#062825",
)
STONE = Color(
    name="stone",
    c50="#fafaf8",
    c100="#f3f4f1",
    c200="#e6e8e4",
    c300="#d2d6d0",
    c400="#9aa29c",
    c500="#656e69",
    c600="#4d5551",
    c700="#39403d",
    c800="#242a28",
    c900="#191e1c",
    c950="#111514",
)
# Fonts of the operating system only: the page loads nothing from other servers.
SANS = (
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans SC",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONO = (
    "ui-monospace",
    "SFMono-Regular",
    "Menlo",
    "Consolas",
    "Liberation Mono",
    "DejaVu Sans Mono",
    "monospace",
)


def theme() -> Base:
    """The theme, for light and dark mode."""
    return Base(
        primary_hue=LAGOON,
        secondary_hue=LAGOON,
        neutral_hue=STONE,
        text_size=sizes.text_md,
        radius_size=sizes.radius_lg,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        color_accent="*primary_600",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="*primary_950",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        checkbox_background_color_selected="*primary_600",
        checkbox_border_color_selected="*primary_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
    )
