// AV
