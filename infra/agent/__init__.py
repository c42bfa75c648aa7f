"""The cluster agent: carries out commands on one node, and tells what came of them."""
