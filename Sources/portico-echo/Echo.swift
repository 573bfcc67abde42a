internal import ArgumentParser

@main struct Echo: ParsableCommand {}
