"""Deciding: from facts, policy, catalog, allowance and date to a Decision. Pure.

``pool`` says which models may be used, ``shape`` which configurations of them can serve requests of
one kind, ``weigh`` what each would cost, ``quality`` what is published about it, ``table`` chooses
and ``outcome`` puts the choice into words.
"""
