internal import ArgumentParser
struct Call: ParsableCommand {}
