"""The simulator: a story of customers, told in YAML, is played in a sandbox, and its events go through the engine.

Reads stories, plays them and compares what was earned with what they expect. Writes nothing, and knows no database.
"""
