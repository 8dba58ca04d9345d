//! Black-box scenarios against the real server, over real sockets. Each is named by what it proves.

mod crash;
mod first_steps;
mod groups;
mod health;
mod lifecycle;
mod one_way_in;
mod operators;
mod rebuild;
mod refusals;
mod restart;
mod settings;
