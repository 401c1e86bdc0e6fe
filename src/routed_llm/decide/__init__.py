"""Deciding: from facts, policy, catalog, allowance and date to a Decision. Pure.

``pool`` says which models may be used, ``rules`` and ``shape`` which configurations of them can serve
requests of one kind, ``constraints`` what rules these out by amounts, ``objectives`` and ``weigh`` what each
would cost, ``quality`` what is published about it, ``dominance`` which of them need no look; ``choice``
chooses at one token count, ``piecewise`` and ``table`` along it, and ``outcome`` puts the choice, and the
``alternatives`` to it, into words.
"""
