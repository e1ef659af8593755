//! Policy over whole chains, with real keys.

mod decoding;
mod evidence;
mod histories;
mod journeys;
mod oracle;
mod refusals;
mod world;
