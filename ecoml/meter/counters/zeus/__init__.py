"""Devices that ecoml does not read itself, through Zeus (https://ml.energy/zeus, `pip install 'ecoml[zeus]'`)."""
