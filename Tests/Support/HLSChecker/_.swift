// HLSChecker
