//! The journeys, the simulation and the checks of the whole tree: one binary, so that it links once.

mod architecture;
mod journeys;
mod order;
mod simulation;
mod starts;
mod template;
