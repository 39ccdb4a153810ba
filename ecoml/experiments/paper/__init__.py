"""The experiments of arXiv 2303.13972 (Yarally et al., 2023), to be run again: soundly, or as they were published.

networks    its three families of networks
published   its training as it was, faults included
study       sizes, spaces and strategies of a run
rounds      searches as it counted them: one mean over repetitions a round
rq1, rq2    its experiments; `rq1_result` what the first one gave, with `rq1_tables` and `rq1_charts` of it
figures     what it printed
"""
