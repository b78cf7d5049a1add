"""The state of one open tab on the server, who its requests come from, and what reads them from Gradio."""
