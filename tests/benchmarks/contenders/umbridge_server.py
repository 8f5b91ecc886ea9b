"""A stock UM-Bridge server of f = (x + y) z."""

import sys

import umbridge


class Circuit(umbridge.Model):
    def __init__(self):
        super().__init__("circuit")

    def get_input_sizes(self, config):
        return [3]

    def get_output_sizes(self, config):
        return [1]

    def __call__(self, parameters, config):
        x, y, z = parameters[0]
        return [[(x + y) * z]]

    def gradient(self, out_wrt, in_wrt, parameters, sens, config):
        x, y, z = parameters[0]
        return [z * sens[0], z * sens[0], (x + y) * sens[0]]

    def supports_evaluate(self):
        return True

    def supports_gradient(self):
        return True


umbridge.serve_models([Circuit()], int(sys.argv[1]))
