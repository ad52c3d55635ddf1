"""How far a bootstrap of few runs can be believed: `sb3-gail compare`'s own intervals, simulated.

    python scripts/small_samples.py

draws normal scores of two methods that do not differ, and prints how often their intervals have
nothing in common (a false claim) and how often an interval holds the true mean. Half a minute.
"""

import numpy as np

from sb3_gail_ext.comparison.statistics import interquartile_mean

MEAN, DEVIATION, REPEATS = 0.8, 0.1, 600


def main():
    print("| runs of each | false claims | the interval holds the true mean |\n|---|---|---|")
    for n_runs in (2, 3, 5, 10):
        dice = np.random.default_rng(n_runs)
        scores = dice.normal(MEAN, DEVIATION, (REPEATS, 2, n_runs))
        pairs = [[interquartile_mean([runs]) for runs in pair] for pair in scores]
        apart = np.mean([a.low > b.high or b.low > a.high for a, b in pairs])
        held = np.mean([a.low <= MEAN <= a.high for a, _ in pairs])
        print(f"| {n_runs} | {apart:.1%} | {held:.0%} |")


if __name__ == "__main__":
    main()
