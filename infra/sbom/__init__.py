"""Software bill of materials of the images: packages, licenses, sizes and known vulnerabilities. Run `make sbom`."""
