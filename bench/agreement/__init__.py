"""Does fastnn do what PyTorch does, where both have the same thing?"""
