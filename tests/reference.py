"""The integer form written as slowly and plainly as possible: one neuron, one synapse, one step at a time."""

from hw.network import Dense, Network


def scalar_run(network: Network, bursts) -> tuple[list[list[list[int]]], list[list[int]], list[int]]:
    """Bursts [population][t][neuron], last membranes [population][neuron] and logits of one input of a dense chain."""
    stream = [[int(value) for value in step.reshape(-1)] for step in bursts]
    all_bursts, all_membranes = [], []
    for population in network.nodes:
        weights = next(p for p in network.projections if p.target == population.name)
        assert isinstance(weights, Dense)
        membranes = [0] * population.shape[0]
        fired = []
        for t in range(network.timesteps):
            inputs = stream[t if len(stream) > 1 else 0]
            counts = []
            for neuron in range(population.shape[0]):
                total = 0
                for j, n in enumerate(inputs):
                    total += int(weights.weights[neuron, j]) * n
                a, p = population.leak.multiplier, population.leak.shift
                potential = (a * membranes[neuron]) // 2**p
                potential += total * 2 ** int(population.exponent[neuron]) + int(population.bias[neuron])
                unit = 2**population.fraction_bits
                count = min(max((potential + unit // 2) // unit, 0), population.burst_ceiling)
                if population.reset == "soft":
                    membranes[neuron] = potential - count * unit
                else:
                    membranes[neuron] = 0 if count > 0 else potential
                counts.append(count)
            fired.append(counts)
        all_bursts.append(fired)
        all_membranes.append(membranes)
        stream = fired
    weights = next(p for p in network.projections if p.target == "readout")
    assert isinstance(weights, Dense)
    logits = []
    for k in range(len(network.readout.bias)):
        total = 0
        for t in range(network.timesteps):
            inputs = stream[t if len(stream) > 1 else 0]
            dot = sum(int(w) * n for w, n in zip(weights.weights[k], inputs, strict=True))
            total += dot * 2 ** int(network.readout.exponent[k]) + int(network.readout.bias[k])
        logits.append(total)
    return all_bursts, all_membranes, logits
