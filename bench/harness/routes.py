"""rosn with route tables of different size, to show that a request costs the same with each."""
import json

from .peers import BENCH, OUT, Peer

TABLES = {10: 8700, 10_000: 8800}  # hosts: base port


def peers(rosn: str) -> dict[str, Peer]:
    """Writes a configuration for each table and answers the peers that run them."""
    found = {}
    for hosts, base in TABLES.items():
        name = f"rosn-{hosts}-hosts"
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        config = folder / "rosn.json"
        config.write_text(json.dumps(configuration(hosts, base, str(folder))))
        found[name] = Peer(name, base, [rosn, "start", "-c", str(config)], hosts=hosts)
    return found


def configuration(hosts: int, base: int, folder: str) -> dict:
    """The benchmark's configuration with only its HTTP listener, and `hosts` virtual hosts of ten routes each."""
    config = json.loads((BENCH / "conf/rosn.json").read_text())
    server = config["servers"][0]
    listener = next(one for one in server["listeners"] if one["name"] == "http")
    listener["address"] = f"127.0.0.1:{base + 1}"
    server["listeners"] = [listener]
    server["routers"][0]["virtual_hosts"] = [
        {"name": f"host-{host}", "domains": [f"host-{host}.example"], "routers": [
            {"match": {"prefix": f"/route-{route}/"}, "route": {"cluster_name": "be"}} for route in range(10)]}
        for host in range(hosts)]
    config["metrics"]["sinks"][0]["config"]["port"] = base + 9
    return {**config, "pid": f"{folder}/pid", "uds_dir": folder}
