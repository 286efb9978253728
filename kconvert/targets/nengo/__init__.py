"""Graph -> ``nengo.Network``: the rules, and the parts that Nengo and NengoDL do not have."""
