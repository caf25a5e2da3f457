"How much memory and time a search takes, and who does which part of it."
