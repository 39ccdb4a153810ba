"""Devices that ecoml reads through Zeus (https://ml.energy/zeus, `pip install 'ecoml[zeus]'`)."""
