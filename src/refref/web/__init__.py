"""The web edge: webhook intake, JSON API, merchant pages. Opens transactions, answers refusals; no business."""
