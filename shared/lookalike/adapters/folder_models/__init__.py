"""Models of folders as the Hugging Face exporters write them: ONNX networks with JSON files that describe them.

`manifest` and `files` are shared. `embedder`, `preprocessing` and `text` are the embedders. Nothing here needs torch.
"""
