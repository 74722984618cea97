//! Profiles as a game uses them: the scenarios and incidents by name, crashes at every step, behaviour call by call.

mod api;
mod crashes;
mod figure;
mod incidents;
mod loading;
mod mail;
mod playing;
mod scenarios;
mod sessions;
mod trading;
mod world;
