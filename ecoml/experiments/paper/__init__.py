"""Repeats the experiments of arXiv 2303.13972 (Yarally et al., 2023): soundly, or as they were published.

networks    its three families of networks
published   its training as published, faults included
study       sizes, spaces and strategies of a run
rounds      searches as it counted them: one mean over repetitions per round
rq1, rq2    its experiments
figures     its published figures
"""
