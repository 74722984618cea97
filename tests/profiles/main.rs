//! Profiles as a game uses them: the scenarios and incidents by name, crashes at every step, behaviour call by call.

mod api;
mod crashes;
mod figure;
mod incidents;
mod loading;
mod mail;
mod planted;
mod playing;
mod scenarios;
mod sessions;
mod sturdy;
mod trading;
mod world;
